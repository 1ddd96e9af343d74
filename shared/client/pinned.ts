/**
 * Self-certifying addresses: `https://10.0.1.7:4600/#sha256=<hex>` names the one certificate that counts there, by the
 * SHA-256 of its DER form. Whoever dials such an address accepts that certificate and no other, so that a leader needs
 * no authority, no name and no date: its certificate is as old as its process. An address without a fragment is judged
 * as everywhere else.
 */
import type { X509Certificate } from "node:crypto";
import * as https from "node:https";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";

/** Longer than a handshake across the world, shorter than a caller's patience with one that hangs. */
const HANDSHAKE_MS_MAX = 5_000;

const FINGERPRINT = /^#sha256=([0-9a-f]{64})$/i;

export interface PinnedAddress {
  /** Scheme, host and port. */
  readonly origin: string;
  /** SHA-256 of the certificate that has to answer there, in lower-case hex. */
  readonly certificate?: string;
}

/** As a request's options, for a `PinningAgent`. */
export interface PinOptions {
  readonly certificate?: string;
}

/**
 * Undefined when a text is no address of an HTTP server, or has a fragment that names no certificate: taken for an
 * address without one, a misspelt fragment would let anybody answer.
 */
export function parseAddress(text: string): PinnedAddress | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  if (url.hash === "") return { origin: url.origin };
  const certificate = FINGERPRINT.exec(url.hash)?.[1]?.toLowerCase();
  return certificate === undefined || url.protocol !== "https:"
    ? undefined
    : { origin: url.origin, certificate };
}

export function formatAddress({ origin, certificate }: PinnedAddress): string {
  return certificate === undefined ? origin : `${origin}/#sha256=${certificate}`;
}

/** No connection could be made, so nothing was sent. */
export class NotConnected extends Error {}

/**
 * Gives a request its connection only once the right certificate is behind it: until then not a byte of the request
 * leaves. Connections are kept apart by certificate, and no TLS session is resumed, so that each has shown its own.
 */
export class PinningAgent extends https.Agent {
  override getName(options: https.RequestOptions & PinOptions = {}): string {
    return `${super.getName(options)}:${options.certificate ?? ""}`;
  }

  override createConnection(
    options: https.RequestOptions & PinOptions,
    callback: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const { certificate } = options;
    if (certificate === undefined) return super.createConnection(options, callback);
    const socket = tls.connect({ ...(options as tls.ConnectionOptions), rejectUnauthorized: false });
    const fail = (error: Error): void => {
      socket.destroy();
      callback(new NotConnected(error.message, { cause: error }), socket);
    };
    const hang = (): void => fail(new Error("no TLS handshake in time"));
    socket.setTimeout(HANDSHAKE_MS_MAX, hang).once("error", fail);
    socket.once("secureConnect", () => {
      const shown = socket.getPeerX509Certificate();
      if (shown === undefined || fingerprintOf(shown) !== certificate)
        return fail(new Error("another certificate answers there than the address names"));
      socket.off("error", fail).off("timeout", hang).setTimeout(0);
      callback(null, socket);
    });
    return undefined;
  }
}

/** As an address names it. */
export function fingerprintOf({ fingerprint256 }: X509Certificate): string {
  return fingerprint256.replaceAll(":", "").toLowerCase();
}

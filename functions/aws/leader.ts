/** A placeholder until the real one is merged. */
console.log(JSON.stringify({ event: "placeholder", part: "leader" }));

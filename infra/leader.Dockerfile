# Leaders from an image of one's own, in place of the bundles: `image: ContainerImage.fromAsset(".", { file: … })`.
# The folder has a package.json that names theseus, its lock file, and the file that exports machines.
FROM public.ecr.aws/docker/library/node:24-slim
WORKDIR /theseus
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts
COPY . .
USER node
ENV THESEUS_MACHINES=machines.ts
CMD ["node", "node_modules/theseus/dist/functions/aws/leader.js"]

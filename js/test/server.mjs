// A static file server for the browser tests: folders by URL prefix, extra headers.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".json": "application/json",
};

/**
 * Serve `folders` (prefix to folder) and `pages` (path to HTML), with `headers` by path prefix. Return its address and `close`.
 * The response for a path in `cut` breaks off in the middle. With `cached`, browsers cache files and revalidate them.
 */
export async function serve(folders, pages = {}, headers = {}, cached = false) {
  const requests = [];
  const cut = new Set();
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    requests.push(path);
    for (const [prefix, extra] of Object.entries(headers)) {
      if (path.startsWith(prefix)) for (const [name, value] of Object.entries(extra)) response.setHeader(name, value);
    }
    if (Object.hasOwn(pages, path)) {
      response.setHeader("content-type", "text/html");
      return response.end(pages[path]);
    }
    const prefix = Object.keys(folders).find((p) => path.startsWith(p));
    const file = prefix && join(folders[prefix], normalize(`/${path.slice(prefix.length)}`));
    try {
      const { size, mtimeMs } = await stat(file);
      const etag = `"${size}-${mtimeMs}"`;
      if (cached) response.setHeader("etag", etag).setHeader("cache-control", "no-cache");
      if (cached && request.headers["if-none-match"] === etag) return response.writeHead(304).end();
      response.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        "content-length": size,
      });
      if (cut.has(path)) {
        const half = createReadStream(file, { end: size >> 1 });
        half.pipe(response, { end: false });
        half.on("end", () => response.destroy());
      } else createReadStream(file).pipe(response);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

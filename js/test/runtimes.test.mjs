// The shared suite in Node.js: main thread, worker and pool.
import { after, before, describe, it } from "node:test";
import { connect } from "graphattend";
import { distribution, nativeAnswers, vendored } from "./setup.mjs";
import { checks } from "./suite.mjs";

const native = nativeAnswers();
const runtimes = {
  "main thread": { indexURL: distribution() },
  worker: { indexURL: vendored(), worker: true },
  "pool of 2": { indexURL: vendored(), workers: 2 },
};
const wanted = process.env.GRAPHATTEND_RUNTIMES?.split(",") ?? Object.keys(runtimes);
console.log(`Running on ${process.version}`);

for (const [name, options] of Object.entries(runtimes).filter(([name]) => wanted.includes(name))) {
  describe(`Node.js, ${name}`, () => {
    let ga;
    before(async () => {
      ga = await connect(options);
    });
    after(async () => {
      await ga?.close();
    });
    for (const [title, check] of Object.entries(checks)) it(title, async () => check(ga, native));
  });
}

import { AttentionError, reason } from "./errors.js";
import { Host } from "./host.js";
import { isNode, nodeModule } from "./platform.js";
import type { FromWorker, ToWorker } from "./channel.js";
import { makeSnapshot } from "./runtime.js";
import { buffersOf } from "./wire.js";

/** The worker's end of the message channel. */
interface Endpoint {
  post(message: FromWorker, transfer: ArrayBuffer[]): void;
  listen(receive: (message: ToWorker) => void): void;
}

async function endpoint(): Promise<Endpoint> {
  if (isNode) {
    // Pyodide prints to these file descriptors, which the streams of worker threads lack.
    Object.assign(process.stdout, { fd: 1 });
    Object.assign(process.stderr, { fd: 2 });
    const port = (await nodeModule("node:worker_threads")).parentPort!;
    return {
      post: (message, transfer) => port.postMessage(message, transfer),
      listen: (receive) => port.on("message", receive),
    };
  }
  const scope = globalThis as unknown as Worker;
  return {
    post: (message, transfer) => scope.postMessage(message, transfer),
    listen: (receive) => scope.addEventListener("message", (event: MessageEvent<ToWorker>) => receive(event.data)),
  };
}

/** Start the interpreter and answer requests one after the other. */
function serve({ post, listen }: Endpoint): void {
  let host: Host | undefined;
  let interrupt: Uint8Array | undefined;

  async function start(message: ToWorker & { type: "start" }): Promise<void> {
    if (message.life !== undefined) {
      // Held until this worker ends, for whatever reason.
      void navigator.locks.request(message.life, () => {
        post({ type: "alive" }, []);
        return new Promise<never>(() => undefined);
      });
    }
    try {
      if (message.options.make) {
        await makeSnapshot(message.options);
        return post({ type: "started", started: "" }, []);
      }
      host = await Host.start(message.options, (progress) => post({ type: "progress", progress }, []));
      interrupt = message.interrupt;
      if (interrupt !== undefined) host.interruptBy(interrupt);
      post({ type: "started", started: host.started }, []);
    } catch (error) {
      const code = error instanceof AttentionError ? error.code : "startup_failed";
      post({ type: "failed", code, message: reason(error), details: {} }, []);
    }
  }

  listen((message) => {
    switch (message.type) {
      case "start":
        return void start(message);
      case "free":
        return host?.free(message.ids);
      case "call": {
        try {
          if (interrupt !== undefined) interrupt[0] = 0; // meant for an earlier call
          const { text, arrays } = host!.call({ ...message, keep: undefined, uses: [], kind: "" });
          post({ type: "reply", id: message.id, text, arrays }, buffersOf({ arrays }));
        } catch (error) {
          post({ type: "crash", message: reason(error) }, []);
        }
      }
    }
  });
}

void endpoint().then(serve);

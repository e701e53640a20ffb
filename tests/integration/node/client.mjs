// A consumer of a Fanlight stream that knows nothing but docs/wire.md.
//
//   node client.mjs URL STREAM COUNT FOLDER
//
// Writes the body of each of the next COUNT frames to FOLDER/<number> and prints one JSON line about it.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import amqplib from "amqplib";

const PREFETCH = 8;
const QUEUE = {
  exclusive: true,
  autoDelete: true,
  arguments: { "x-max-length": 30, "x-message-ttl": 500, "x-overflow": "drop-head" },
};
const PROBE = "application/x-fanlight-probe";

const [url, stream, wanted, folder] = process.argv.slice(2);
const connection = await amqplib.connect(url);
const channel = await connection.createChannel();
const { queue } = await channel.assertQueue("", QUEUE);
await channel.assertExchange(`fanlight.${stream}`, "fanout", { durable: true });
await channel.bindQueue(queue, `fanlight.${stream}`, "");
await channel.prefetch(PREFETCH);

let count = 0;
const done = new EventTarget();
await channel.consume(queue, take, { noAck: false });
await once(done, "done");
await connection.close();

function take(message) {
  if (message === null) {
    console.error("the broker cancelled the subscription");
    process.exit(1);
  }
  channel.ack(message);
  const { headers, contentType, appId, userId, deliveryMode, timestamp } = message.properties;
  if (contentType === PROBE || count === Number(wanted)) {
    return;
  }
  writeFileSync(join(folder, String(count)), message.content);
  const types = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, typeof value]));
  const size = message.content.length;
  console.log(
    JSON.stringify({ headers, types, contentType, appId, userId, deliveryMode, timestamp, size })
  );
  count += 1;
  if (count === Number(wanted)) {
    done.dispatchEvent(new Event("done"));
  }
}

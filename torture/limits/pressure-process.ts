// Thousands of commits at once, a hundred times what may wait: what is encoded at a time stays bounded. Ends with code 0 and a line of
// JSON: what it measured. Started by limits/index.ts: node torture/limits/pressure-process.ts <file>
import { embedded } from '../../src/embedded/index.ts'
import { InvariantError, sleep, systemClock } from '../../src/kernel/index.ts'

const [, , path = ''] = process.argv
const mebibyte = 1024 * 1024
/** Two groups of at most 8 MiB are on their way, and buffers that come back are kept for the next ones. */
const encodedBytesMax = 48 * mebibyte
const value = 'x'.repeat(4096)
const publish = [{ topic: 'orders', partition: 0, records: Array.from({ length: 16 }, () => ({ key: null, value })) }]

await using engine = await embedded({ path, maintenanceIntervalMs: 0, bufferBytesMax: mebibyte }).open()
await engine.topics.create('orders', { partitions: 1 })
let encodedBytes = 0
let isDone = false
const all = Promise.all(Array.from({ length: 1600 }, () => engine.commit({ publish }))).finally(() => {
  isDone = true
})
while (!isDone) {
  encodedBytes = Math.max(encodedBytes, process.memoryUsage().arrayBuffers)
  await sleep(5, systemClock)
}
await all
process.stdout.write(`${JSON.stringify({ encodedBytes })}\n`)
if (encodedBytes > encodedBytesMax) {
  throw new InvariantError(`memory of encoded commits stays within ${encodedBytesMax} (it came to ${encodedBytes})`)
}

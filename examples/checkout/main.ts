// Checks eight orders out, conducted by a saga or by choreography: node main.ts <file> --saga orchestration|choreography
import { embedded } from '../../src/embedded/index.ts'
import { view } from '../../src/index.ts'
import { readArguments, usage } from './arguments.ts'
import { choreographed } from './choreography.ts'
import { OrderConfirmed, OrderPlaced, OrderRejected } from './events.ts'
import { orchestrated } from './orchestration.ts'
import { Outside } from './outside.ts'

const outcomes = view('outcomes', {
  events: [OrderConfirmed, OrderRejected],
  key: (event) => event.data.orderId,
  initial: '',
  on: { OrderConfirmed: () => 'confirmed', OrderRejected: (_before, { data }) => `rejected: ${data.reason}` },
})

async function checkOut(file: string, saga: 'orchestration' | 'choreography'): Promise<void> {
  const outside = new Outside()
  const shop = (saga === 'choreography' ? choreographed : orchestrated)(outside, [outcomes])
  await using running = await shop.start({ engine: embedded({ path: file }) })
  // One after the other, so that it is the same order each time that gets the last lamp.
  for (let n = 1; n <= 8; n++) {
    const item = n % 4 === 0 ? 'mug' : 'lamp'
    const card = n % 3 === 0 ? 'bad' : 'good'
    await running.publish(OrderPlaced({ orderId: `o${n}`, item, card }))
    await running.idle()
  }
  for await (const { key, value } of running.view(outcomes).list()) console.log(`${key} ${value}`)
  for (const [item, count] of outside.stock) console.log(`${count} ${item} on the shelf`)
}

const asked = readArguments(process.argv.slice(2))
switch (asked.kind) {
  case 'help':
    console.log(usage)
    break
  case 'refused':
    console.error(`${asked.why}\n\n${usage}`)
    process.exitCode = 2
    break
  case 'run':
    await checkOut(asked.file, asked.saga)
}

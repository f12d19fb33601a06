// The load of the crash tests on an engine whose wall clock jumps by an hour, forwards and back. Says `ready` and runs until it
// is killed. Started by limits/index.ts: node torture/limits/jumping-load-process.ts <file> <journal> <run>
import { CrashActors } from '../../src/embedded/fixtures/crash-actors.ts'
import { JournalWriter } from '../../src/embedded/fixtures/crash-journal.ts'
import { embedded } from '../../src/embedded/index.ts'
import { type Clock, sleep, systemClock, systemRandom } from '../../src/kernel/index.ts'

const [, , path = '', journalPath = '', run = '0'] = process.argv
const hourMs = 3_600_000
let aheadMs = 0
/** Only what the wall says jumps; what measures spans does not. */
const clock: Clock = {
  nowMs: () => systemClock.nowMs() + aheadMs,
  monotonicMs: () => systemClock.monotonicMs(),
  setTimer: (...timer) => systemClock.setTimer(...timer),
}
const engine = await embedded({ path, maintenanceIntervalMs: 100 }).open({ clock, random: systemRandom })
const actors = await new CrashActors(engine, new JournalWriter(journalPath), run, clock).start()
process.stdout.write('ready\n')
async function jump(): Promise<never> {
  for (;;) {
    for (const ahead of [hourMs, 0, -hourMs, 0]) {
      aheadMs = ahead
      await sleep(60, systemClock)
    }
  }
}
async function forEver(actor: (n: number) => Promise<unknown>): Promise<never> {
  for (let n = 0; ; n++) await actor(n)
}
await Promise.race([jump(), ...actors.map(forEver)])

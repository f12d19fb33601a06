import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type ConformanceCase, conformanceCases, type Ground, runCase, verdictOf } from '../engine/conformance/index.ts'
import type { Capabilities, Engine } from '../engine/index.ts'
import { kafka } from './index.ts'
import { kafkaCapabilities, kafkaStateCapabilities } from './kafka-engine.ts'
import { freshName, serversWanted, sharedServer } from './real-server.test-support.ts'

/** To repeat a case that chose at random and failed: its error names the seed. */
const seed = process.env['MILLRACE_CONFORMANCE_SEED']

/** All cases share one cluster and, until one of them closes it, one engine. */
function lastingGroundOn(open: () => Promise<Engine>): Ground {
  let kept: Engine | undefined
  return {
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    open: async () => {
      const isOpen = await kept?.commit({}).then(
        () => true,
        () => false,
      )
      if (isOpen === true && kept !== undefined) return kept
      // A case that failed may have left it closing.
      await kept?.close()
      kept = await open()
      return kept
    },
    release: async () => {},
  }
}

/** Cases that suppose what a cluster does not do, with the reason. */
const reasons: Readonly<Record<string, string>> = {
  'retention: a bound in bytes drops the oldest and keeps the newest, in each partition':
    'brokers apply retention in their own time, to whole segments; maintain() does not hurry them',
  'parallel: beside compaction, readers see values of a key in their order, and never miss the last one':
    'brokers compact in their own time; maintain() does not hurry them',
}

function verdictOn(one: ConformanceCase, capabilities: Capabilities): true | string {
  return reasons[one.name] ?? verdictOf(one, { capabilities, movesTime: false })
}

/** The areas in which the older group protocol makes a difference. */
const isOfGroups = ({ name }: ConformanceCase): boolean =>
  /^(lifecycle|closing|groups|progress|exactly once|membership): /.test(name)

/** Those that have to do with state, and those in which its writer takes the place of the other. */
const usesState = (one: ConformanceCase): boolean =>
  isOfGroups(one) || verdictOn(one, kafkaStateCapabilities) !== verdictOn(one, kafkaCapabilities)

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted).each([
  ['consumer', 'without', () => true],
  ['classic', 'without', isOfGroups],
  ['classic', 'with', usesState],
] as const)(
  'the Kafka engine on a real server, with the %s group protocol, %s state',
  (groupProtocol, state, isAsked) => {
    let brokers: readonly string[] = []
    beforeAll(async () => {
      brokers = (await sharedServer()).bootstrapBrokers
    }, 600_000)
    // Asking often costs a test server nothing and makes cases that wait for others short.
    // Names with a prefix are those of half of the cases: nobody may notice.
    const prefix = state === 'with' ? `${freshName('suite')}.` : groupProtocol === 'classic' ? 'suite.' : ''
    const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-state-'))
    const options = { ...(state === 'with' && { state: { folder } }), groupProtocol, prefix, heartbeatIntervalMs: 100 }
    const ground = lastingGroundOn(() => kafka({ brokers, ...options }).open())
    afterAll(async () => {
      await (await ground.open()).close()
      rmSync(folder, { recursive: true })
    })
    const capabilities = state === 'with' ? kafkaStateCapabilities : kafkaCapabilities

    for (const one of conformanceCases.filter(isAsked)) {
      const verdict = verdictOn(one, capabilities)
      it(`${one.name}`, async (context) => {
        if (verdict !== true) context.skip(verdict)
        await runCase(one, ground)
      }, 60_000)
    }
  },
)

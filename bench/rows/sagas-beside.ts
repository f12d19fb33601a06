import { join } from 'node:path'
import pg from 'pg'
import { startServer } from '../../scripts/servers/index.ts'
import { freePorts, Peer, preparePeers } from '../peer.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { type SagaKind, sagaRound } from '../sagas.ts'
import { alternate, percentile } from '../statistics.ts'

const rivals = ['Restate', 'DBOS'] as const
const names = ['Millrace', 'Millrace, undoable', ...rivals] as const
type Name = (typeof names)[number]

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await preparePeers()
  const { superuserUrl } = (await startServer('postgres')).connection
  const database = `bench_dbos_${process.pid}`
  await onServer(superuserUrl, `CREATE DATABASE ${database}`)
  try {
    const ports = await freePorts(4)
    await using restate = await Peer.start('restate.mjs', [join(folder, 'restate'), ...ports.map(String)])
    const url = new URL(superuserUrl)
    url.pathname = `/${database}`
    await using dbos = await Peer.start('dbos.mjs', [url.href])
    for (const peer of [restate, dbos]) await peer.run(16, 200)
    const figures: Figure[] = []
    for (const concurrent of [1, 16, 64]) {
      const count = Math.ceil((quick ? 200 : 1000) * (concurrent === 1 ? 1 : 4))
      const latenciesMs: Record<Name, number[]> = { Millrace: [], 'Millrace, undoable': [], Restate: [], DBOS: [] }
      const own = (name: 'Millrace' | 'Millrace, undoable', kind: SagaKind) => async (turn: number) => {
        const round = await sagaRound(join(folder, `${kind}-${concurrent}-${turn}.db`), kind, concurrent, count)
        latenciesMs[name].push(...round.latenciesMs)
        return round.rate
      }
      const found = await alternate(quick ? 2 : 3, {
        Millrace: own('Millrace', 'plain'),
        'Millrace, undoable': own('Millrace, undoable', 'undoable'),
        Restate: async () => {
          const round = await restate.run(concurrent, count)
          latenciesMs.Restate.push(...round.latenciesMs)
          return round.rate
        },
        DBOS: async () => {
          const round = await dbos.run(concurrent, count)
          latenciesMs.DBOS.push(...round.latenciesMs)
          return round.rate
        },
      })
      figures.push(...figuresOf(concurrent, found, latenciesMs))
    }
    return figures
  } finally {
    await onServer(superuserUrl, `DROP DATABASE ${database} WITH (FORCE)`)
  }
}

function figuresOf(
  concurrent: number,
  rates: Readonly<Record<Name, number>>,
  latenciesMs: Readonly<Record<Name, readonly number[]>>,
): readonly Figure[] {
  const middle = (name: Name): number => percentile(latenciesMs[name], 0.5)
  const better = rates.Restate > rates.DBOS ? 'Restate' : 'DBOS'
  const sooner = middle('Restate') < middle('DBOS') ? 'Restate' : 'DBOS'
  return [
    {
      what: `${concurrent} at once`,
      value: rates.Millrace,
      unit: 'sagas/s',
      limit: { what: `${better}, the better of the two`, value: rates[better] },
      target: { of: 'ratio', atLeast: 5 },
      notes: [
        ...rivals.map((name) => `${name} ${rates[name].toFixed(0)} workflows/s`),
        `with steps that can be undone, whose beginning is noted too: ${rates['Millrace, undoable'].toFixed(0)} sagas/s, ${(rates['Millrace, undoable'] / rates[better]).toFixed(1)} of it`,
        'Millrace and DBOS in the process that asks, Restate by HTTP; Millrace on a fresh file each round, without a warm-up',
      ],
    },
    {
      what: `${concurrent} at once, from start to result, p50`,
      value: middle('Millrace'),
      unit: 'ms',
      limit: { what: `${sooner}, the sooner of the two`, value: middle(sooner) },
      target: { of: 'ratio', atMost: 1 },
    },
  ]
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

/** Sagas beside workflows of two steps, each system as durable as it is by default. */
export const sagasBeside: BenchRow = { title: 'Sagas of two steps beside Restate and DBOS', run }

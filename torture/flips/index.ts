import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SeededRandom } from '../../src/kernel/index.ts'
import { Audits } from '../audits.ts'
import { runCases } from '../cases.ts'
import type { Bench, Failure, Kind, KindResult } from '../kind.ts'
import { runToEnd } from '../run-to-end.ts'

const load = join(import.meta.dirname, '..', 'faults', 'fault-load-process.ts')
const rounds = 20
const casesAtOnce = 3
const sectorBytes = 512
const pageBytes = 8192

/** Bit flips, lost sectors and truncation, anywhere in the files. */
export const flips: Kind = {
  name: 'flips',
  title: 'bits turned over, sectors lost and ends cut off',
  casesQuick: 120,
  casesFull: 20_000,
  run,
}

const harms = ['bit', 'bit', 'bit', 'row', 'row', 'zeros', 'elsewhere', 'cut'] as const
type Harm = (typeof harms)[number]

interface Stretch {
  readonly start: number
  readonly end: number
}

async function run({ random, budget, scratch }: Bench): Promise<KindResult> {
  await using audits = new Audits()
  const folder = scratch.folder('whole')
  const [path, journalPath, referencePath] = ['flips.db', 'journal.jsonl', 'reference.json'].map((name) =>
    join(folder, name),
  ) as [string, string, string]
  const failures: Failure[] = []
  const facts: Record<string, number> = { inLog: 0, refused: 0, foundByVerify: 0, harmless: 0 }
  // The one has everything in the database, as an orderly end leaves it; the other the last rounds in the log.
  await runToEnd([load, path, journalPath, '0', String(rounds)])
  const closed = scratch.folder('closed')
  cpSync(folder, closed, { recursive: true })
  await runToEnd([load, path, journalPath, '1', '2', 'dies'])
  const problem = await audits.ask({ kind: 'dump', path: join(closed, 'flips.db'), referencePath })
  if (problem !== null) failures.push({ name: 'the whole file', problem, evidence: null })
  const asked = scratch.folder('asked')
  cpSync(closed, asked, { recursive: true })
  const rows = rowsOf(join(asked, 'flips.db'))
  const caseCount = await runCases({ budget, failures, atOnce: casesAtOnce }, async (number) => {
    const copy = scratch.folder('harmed')
    const isInLog = random.nextFloat() < 0.25
    if (isInLog) facts['inLog'] = (facts['inLog'] ?? 0) + 1
    cpSync(isInLog ? folder : closed, copy, { recursive: true })
    const target = join(copy, isInLog ? 'flips.db-wal' : 'flips.db')
    const harm = harms[random.nextUint32() % harms.length] as Harm
    const where = harmFile(target, harm, rows, random)
    const harmed = join(copy, 'flips.db')
    const answer = await audits.answer(
      isInLog
        ? { kind: 'harmed-log', path: harmed, journalPath: join(copy, 'journal.jsonl') }
        : { kind: 'harmed', path: harmed, referencePath },
    )
    if (answer.note !== undefined) facts[answer.note] = (facts[answer.note] ?? 0) + 1
    if (answer.problem !== null) {
      const name = `case ${number}: ${harm} at ${where} of ${isInLog ? 'the log' : 'the database'}`
      failures.push({ name, problem: answer.problem, evidence: scratch.keep(copy, `flip ${number}`) })
    }
    rmSync(copy, { recursive: true, force: true })
  })
  return { caseCount, failures, facts }
}

/** Tables of which little stands in a file, and which programs go by. */
const smallTables = [
  'topic',
  'partition',
  'producer',
  'producer_partition',
  'progress',
  'stream',
  'namespace',
  'state',
  'timer',
  'counter',
]

/** Where the rows of small tables stand in a file. */
function rowsOf(path: string): readonly Stretch[] {
  const db = new DatabaseSync(path)
  const places = smallTables.map((table) => `'${table}'`).join(', ')
  const roots = db.prepare(`SELECT rootpage FROM sqlite_schema WHERE name IN (${places})`).all()
  db.close()
  const bytes = readFileSync(path)
  return roots.map(({ rootpage }) => {
    const page = (Number(rootpage) - 1) * pageBytes
    // Rows fill a page from its end; where they begin stands in its head.
    return { start: page + bytes.readUInt16BE(page + 5), end: page + pageBytes }
  })
}

function placeIn(rows: readonly Stretch[], random: SeededRandom): number {
  const { start, end } = rows[random.nextUint32() % rows.length] as Stretch
  return start + (random.nextUint32() % Math.max(1, end - start))
}

/** Harms a file somewhere, and answers where. */
function harmFile(path: string, harm: Harm, rows: readonly Stretch[], random: SeededRandom): number {
  const bytes = readFileSync(path)
  const at =
    harm === 'row' ? Math.min(bytes.length - 1, placeIn(rows, random)) : Math.floor(random.nextFloat() * bytes.length)
  const sector = at - (at % sectorBytes)
  if (harm === 'bit' || harm === 'row') bytes[at] = (bytes[at] ?? 0) ^ (1 << (random.nextUint32() % 8))
  else if (harm === 'zeros') bytes.fill(0, sector, Math.min(sector + sectorBytes, bytes.length))
  else if (harm === 'elsewhere') {
    const source = Math.floor(random.nextFloat() * bytes.length)
    bytes.copyWithin(sector, source - (source % sectorBytes), source - (source % sectorBytes) + sectorBytes)
  }
  writeFileSync(path, harm === 'cut' ? bytes.subarray(0, at) : bytes)
  return at
}

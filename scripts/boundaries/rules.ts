import type { IForbiddenRuleType } from 'dependency-cruiser'
import { unshipped as files } from '../unshipped.ts'
import { ranks } from './ranks.ts'

/** As text: dependency-cruiser takes no regular expressions. */
const unshipped = files.source

const anyOf = (names: readonly string[]): string => `(${names.join('|')})`
const modules = Object.keys(ranks)

/** For each rank: its modules may not import modules of the same or a higher rank, other than themselves. */
function rankRules(): IForbiddenRuleType[] {
  return [...new Set(Object.values(ranks))].map((rank) => ({
    name: 'rank',
    severity: 'error',
    comment: `A module of rank ${rank} imports only modules of a lower rank.`,
    from: { path: `^src/${anyOf(modules.filter((name) => ranks[name] === rank))}/` },
    to: { path: `^src/${anyOf(modules.filter((name) => (ranks[name] ?? 0) >= rank))}/`, pathNot: '^src/$1/' },
  }))
}

/** Every rule that the import graph of `src/`, `examples/`, `bench/` and `simulation/` has to keep. */
export const rules: readonly IForbiddenRuleType[] = [
  ...rankRules(),
  {
    name: 'door',
    severity: 'error',
    comment: 'A module is entered from outside by its index.ts only.',
    from: { path: '^src/([^/]+)/', pathNot: unshipped },
    to: { path: '^src/[^/]+/', pathNot: ['^src/$1/', '^src/[^/]+/index\\.ts$'] },
  },
  {
    name: 'front-door',
    severity: 'error',
    comment: 'The front door, examples and benches enter a module by its index.ts too.',
    from: { path: ['^src/[^/]+$', '^examples/'], pathNot: unshipped },
    to: { path: '^src/[^/]+/', pathNot: '^src/[^/]+/index\\.ts$' },
  },
  {
    name: 'root',
    severity: 'error',
    comment: 'Nothing inside imports the front door: it imports everything.',
    from: { path: '^src/[^/]+/', pathNot: unshipped },
    to: { path: '^src/[^/]+\\.ts$' },
  },
  {
    name: 'cycle',
    severity: 'error',
    comment: 'Imports form no cycle, types included.',
    from: {},
    to: { circular: true },
  },
  {
    name: 'shipped-dependency',
    severity: 'error',
    comment: 'Shipped code uses only what package.json lists under dependencies or peerDependencies.',
    from: { path: '^src/', pathNot: unshipped },
    // The clients of engines are optional peers, and installed here for the tests.
    to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer'] },
  },
  {
    name: 'unresolved',
    severity: 'error',
    comment: 'Every import leads somewhere; those of bench/peers, whose packages only a benchmark installs, need not.',
    from: { pathNot: '^bench/peers/' },
    to: { couldNotResolve: true },
  },
  {
    name: 'outside',
    severity: 'error',
    comment: 'Nothing under src/ imports tests, scripts, examples, benches or the simulation.',
    from: { path: '^src/', pathNot: unshipped },
    to: { path: [`^(scripts|examples|bench|simulation|docs|console)/`, `^src/.*(${unshipped})`] },
  },
]

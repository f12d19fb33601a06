// The code of the package, as users load it: `node scripts/bundle.ts [folder]`, `dist` by default.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

const root = join(import.meta.dirname, '..')

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
}

/** What is loaded by others than the doors: the command line by `bin`, the thread by the engine. */
const startedElsewhere = ['cli/main', 'embedded/writer-thread']

/** What programs begin with, by its place in the package without extension, and its source. */
function entries(): Readonly<Record<string, string>> {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  const doors = Object.values(exports).flatMap((door) => (typeof door === 'string' ? [] : [door.default]))
  const names = [...doors.map((path) => path.replace(/^\.\/dist\/|\.js$/g, '')), ...startedElsewhere]
  return Object.fromEntries(names.map((name) => [name, join(root, 'src', `${name}.ts`)]))
}

/**
 * Writes each of them with what it needs into few files: to find and read hundreds takes longer than what many programs do with
 * them. What several need stands in `chunks/`, as deep as the doors, so that paths relative to a module hold.
 *
 * @param folder Created if need be.
 */
export async function bundle(folder: string): Promise<void> {
  await using build = await rolldown({
    input: entries(),
    cwd: root,
    platform: 'node',
    // What the package depends on is installed beside it.
    external: /^[^./]/,
    treeshake: { moduleSideEffects: false },
  })
  await build.write({
    dir: folder,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
  })
}

if (import.meta.main) await bundle(process.argv[2] ?? join(root, 'dist'))

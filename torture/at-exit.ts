const works = new Set<() => void>()

function runAll(): void {
  // What was begun last goes first: nobody writes any more into a folder that is removed.
  for (const work of [...works].reverse()) work()
  works.clear()
}

process.once('exit', runAll)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** Does something when this process ends early, so that no load runs on and no disk stays mounted. Answers how to forget it. */
export function atExit(work: () => void): () => void {
  works.add(work)
  return () => void works.delete(work)
}

import type { PlantedBug } from './planted-bug.ts'

const committer = 'src/runtime/committer.ts'
const commits = '    this.#engine.commit(batch.seal()).then('

/** Bugs of the runtime, which commits effects and progress of handlers. */
export const runtimeBugs: readonly PlantedBug[] = [
  {
    name: 'the runtime commits progress before effects',
    net: 'kills',
    edits: [
      {
        file: committer,
        from: commits,
        to: `    const { progress = [], ...effects } = batch.seal()
    this.#engine.commit({ progress }).then((outcome) => (outcome.ok ? this.#engine.commit(effects) : outcome)).then(`,
      },
    ],
  },
  {
    name: 'the runtime commits effects before progress',
    net: 'kills',
    edits: [
      {
        file: committer,
        from: commits,
        to: `    const { progress = [], ...effects } = batch.seal()
    this.#engine.commit(effects).then((outcome) => (outcome.ok ? this.#engine.commit({ progress }) : outcome)).then(`,
      },
    ],
  },
  {
    name: 'the runtime commits state before what is published',
    net: 'kills',
    edits: [
      {
        file: committer,
        from: commits,
        to: `    const { state = [], ...effects } = batch.seal()
    this.#engine.commit({ state }).then((outcome) => (outcome.ok ? this.#engine.commit(effects) : outcome)).then(`,
      },
    ],
  },
  {
    name: 'what tells repeated messages is committed after their effects',
    net: 'simulation',
    edits: [
      {
        file: committer,
        from: commits,
        to: `    const { state = [], ...effects } = batch.seal()
    const told = state.filter((write) => write.namespace.startsWith('dedupe:'))
    const others = state.filter((write) => !told.includes(write))
    this.#engine.commit({ ...effects, state: others }).then((outcome) =>
      outcome.ok && told.length > 0 ? this.#engine.commit({ state: told }) : outcome).then(`,
      },
    ],
  },
  {
    name: 'a retry does the effects of a message twice',
    net: 'kills',
    edits: [
      {
        file: 'src/runtime/commit-batch.ts',
        from: '    for (const message of planned.messages) open.messages.push(message)\n',
        to: '    for (const message of planned.messages) open.messages.push(message, ...(message.data?.n % 9 === 8 ? [message] : []))\n',
      },
    ],
  },
  {
    name: 'timers do not look at the wall clock again',
    net: 'limits',
    edits: [
      {
        file: 'src/runtime/timer-service.ts',
        from: 'Math.min(lookEveryMs, nextMs - nowMs)',
        to: 'nextMs - nowMs',
      },
    ],
  },
]

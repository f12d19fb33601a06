import { channels, type TypedChannel } from '../src/telemetry/index.ts'
import type { History } from './history.ts'

/** Writes what the runtime reports into the trace, and counts what has to be seen. Returns what ends it. */
export function listening(history: History): () => void {
  const ends = [
    on(channels.retried, ({ handler, key, attempt }) => {
      history.reach('a message was tried again')
      history.trace.write(`retried ${handler} ${key} ${attempt}`)
    }),
    on(channels.deadLettered, ({ handler, key, id }) => {
      history.reach('a dead letter')
      history.trace.write(`dead ${handler} ${key} ${id}`)
    }),
    on(channels.committed, ({ handler, messageCount, publishedCount, stateCount }) =>
      history.trace.write(`committed ${handler} ${messageCount} ${publishedCount} ${stateCount}`),
    ),
    on(channels.rebalanced, (report) => {
      history.reach('partitions changed hands')
      history.trace.write(`rebalanced ${JSON.stringify(report)}`)
    }),
    on(channels.rewound, (report) => {
      history.reach('a consumer was rewound')
      history.trace.write(`rewound ${JSON.stringify(report)}`)
    }),
    on(channels.decided, (report) => history.trace.write(`decided ${JSON.stringify(report)}`)),
    on(channels.saga, (report) => history.trace.write(`saga ${JSON.stringify(report)}`)),
    on(channels.relayed, ({ topic, messageCount }) => {
      history.reach('messages went through an outbox', messageCount)
      history.trace.write(`relayed ${topic} ${messageCount}`)
    }),
  ]
  return () => {
    for (const end of ends) end()
  }
}

function on<Report>(channel: TypedChannel<Report>, listener: (report: Report) => void): () => void {
  channel.subscribe(listener)
  return () => channel.unsubscribe(listener)
}

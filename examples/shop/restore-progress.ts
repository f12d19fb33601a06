import { type Clock, channels, type StateRestoredReport } from '../../src/index.ts'

const pauseMs = 500

/** Tells how far state is read from Kafka while that goes on; begins when it takes more than a moment. */
export function showRestoring(log: Pick<NodeJS.WriteStream, 'write'>, clock: Clock): Disposable {
  let nextMs = clock.monotonicMs() + pauseMs
  const note = ({ topic, partition, position, end }: StateRestoredReport): void => {
    if (clock.monotonicMs() < nextMs) return
    nextMs = clock.monotonicMs() + pauseMs
    const percent = Math.floor((100 * Math.min(position, end)) / Math.max(1, end))
    log.write(`State is read from topic ${topic}, partition ${partition}: ${percent} %.\n`)
  }
  channels.stateRestored.subscribe(note)
  return { [Symbol.dispose]: () => channels.stateRestored.unsubscribe(note) }
}

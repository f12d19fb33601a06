/**
 * Answers the benchmark, over the channel to its parent: for `{ concurrent, count }` so many workflows, so many at once, each
 * awaited to its end; with the rate, and how long each took.
 *
 * @param {(orderId: string, order: { orderId: string, total: number }) => Promise<unknown>} run
 * @param {() => unknown} close
 */
export function serve(run, close) {
  let rounds = 0
  const measure = async ({ concurrent, count }) => {
    const round = `${process.pid}-${rounds++}`
    const latenciesMs = []
    let next = 0
    const work = async () => {
      while (next < count) {
        const total = next++
        const orderId = `o-${round}-${total}`
        const startMs = performance.now()
        await run(orderId, { orderId, total })
        latenciesMs.push(performance.now() - startMs)
      }
    }
    const startMs = performance.now()
    await Promise.all(Array.from({ length: concurrent }, work))
    return { rate: (count * 1000) / (performance.now() - startMs), latenciesMs }
  }
  const answer = async (question) => {
    if (question !== 'end') {
      process.send(await measure(question))
      return
    }
    await close()
    process.exit(0)
  }
  process.on('message', (question) => void answer(question))
  // Whoever asks is gone.
  process.on('disconnect', () => process.exit(1))
  process.send('ready')
}

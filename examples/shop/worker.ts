import { systemClock } from '../../src/index.ts'
import { groundFor } from './deployments.ts'
import { RemoteGateway } from './remote-gateway.ts'
import { shop } from './shop.ts'
import type { WorkerNotice, WorkerSettings } from './worker-calls.ts'
import { workerSessionTimeout } from './worker-processes.ts'

/**
 * A worker process: runs the five services on the ground that all processes share, and does nothing else. It ends when it is
 * told to, or when the process that started it is gone.
 */
async function work({ deployment, folder, number, stock, saga }: WorkerSettings): Promise<void> {
  const stop = Promise.withResolvers<void>()
  // Ctrl-C reaches every process of the terminal; this one waits for the word of the first.
  process.on('SIGINT', () => undefined)
  const gateway = new RemoteGateway((question) => {
    if (process.connected) process.send?.(question)
  })
  process.on('message', (notice: WorkerNotice) => {
    if (notice.kind === 'stop') stop.resolve()
    else gateway.receive(notice)
  })
  process.once('disconnect', () => {
    gateway.end()
    // Whatever is under way, others finish: that is what the shop is built for.
    process.exit(0)
  })
  const { engine } = groundFor(deployment, folder, process.env, number)
  const running = await shop(gateway, { stock, saga }).start({
    engine,
    clock: systemClock,
    sessionTimeout: workerSessionTimeout,
  })
  await Promise.race([stop.promise, running.failed])
  await running.stop()
  process.disconnect()
}

await work(JSON.parse(process.argv[2] ?? '') as WorkerSettings)

import { once } from 'node:events'
import { createServer } from 'node:net'
import { PortTakenError } from './errors.ts'

/** Fails with `SERVER_PORT_TAKEN` if something listens on one of these ports of 127.0.0.1. */
export async function requireFreePorts(server: string, ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const listener = createServer()
    try {
      listener.listen({ host: '127.0.0.1', port, exclusive: true })
      await once(listener, 'listening')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw new PortTakenError(server, port)
      throw error
    }
    listener.close()
    await once(listener, 'close')
  }
}

/**
 * Real servers for tests: started once, found again by every process, and their nodes killed, paused and started by chaos
 * tests. `npm run servers` is the same for people.
 * @module
 */
export { type InstalledSize, installedSize } from './installed-size.ts'
export type { KafkaConnection } from './kafka/kafka.ts'
export { type ConnectionOf, type ServerName, serverNames } from './kinds.ts'
export type { NatsConnection } from './nats/nats.ts'
export type { PostgresConnection } from './postgres/postgres.ts'
export { descendantsOf } from './processes.ts'
export type { RabbitmqConnection } from './rabbitmq/rabbitmq.ts'
export type { RedisConnection } from './redis/redis.ts'
export {
  type RunningServer,
  type ServerState,
  type ServerStatus,
  type StartOptions,
  type StopOptions,
  serverStatus,
  startServer,
  stopServer,
} from './server.ts'
export type { NodeState, ServerNode } from './server-node.ts'

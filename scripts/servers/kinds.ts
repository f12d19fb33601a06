import { type KafkaConnection, kafka } from './kafka/kafka.ts'
import { type NatsConnection, nats } from './nats/nats.ts'
import { type PostgresConnection, postgres } from './postgres/postgres.ts'
import { type RabbitmqConnection, rabbitmq } from './rabbitmq/rabbitmq.ts'
import { type RedisConnection, redis } from './redis/redis.ts'
import type { ServerKind } from './server-kind.ts'

/** The servers there are, as on the command line, and what it takes to connect to each. */
export interface Connections {
  readonly kafka: KafkaConnection
  readonly postgres: PostgresConnection
  readonly rabbitmq: RabbitmqConnection
  readonly nats: NatsConnection
  readonly redis: RedisConnection
}

export type ServerName = keyof Connections
export type ConnectionOf<Name extends ServerName> = Connections[Name]

/** Every kind of server that can be started. A new one needs a `portOffset` that no other has. */
export const kinds: { readonly [Name in ServerName]: ServerKind<Connections[Name]> } = {
  kafka,
  postgres,
  rabbitmq,
  nats,
  redis,
}

export const serverNames: readonly ServerName[] = Object.keys(kinds) as ServerName[]

/** The kind of this name, with its connection's type forgotten. */
export function kindOf(name: ServerName): ServerKind {
  return kinds[name]
}

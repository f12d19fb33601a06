/**
 * The rooms of the house. A module imports only modules of a lower rank; a folder of `src/` that is not listed here is
 * refused. The reasons stand in `docs/architecture.md`.
 */
export const ranks: Readonly<Record<string, number>> = {
  kernel: 0,
  telemetry: 1,
  message: 1,
  // Below the port of the engines, which speaks of the records that a reader gets.
  record: 1.5,
  schema: 2,
  engine: 2,
  // What the engines that keep things in a database share.
  committing: 2.5,
  // What all that speaks to PostgreSQL shares.
  sql: 2.7,
  embedded: 3,
  postgres: 3,
  kafka: 3,
  // Changes of tables of the user's own, for any engine.
  capture: 3.2,
  // Tables of the user's own, from which and to which any engine is served.
  outbox: 3.3,
  // Composes engines of which it knows the port only.
  bridge: 3.5,
  runtime: 4,
  domain: 5,
  views: 5,
  // Its steps ask deciders.
  saga: 5.2,
  streaming: 5,
  // Views in tables of the user's own.
  tables: 5.5,
  app: 6,
  server: 7,
  testing: 7,
  cli: 8,
}

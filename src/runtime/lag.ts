import type { PartitionLag } from '../engine/index.ts'

/** How far one handler or view is behind. */
export interface Lag {
  /** Its consumer group: `<app>.<service>.<handler>`, or `<app>.view:<view>.v<version>`. */
  readonly handler: string
  /** Messages not handled yet. */
  readonly lagMessages: number
  /** Age of the oldest of them, in seconds. */
  readonly lagSeconds: number
  readonly partitions: readonly PartitionLag[]
}

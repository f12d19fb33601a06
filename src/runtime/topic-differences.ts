import type { TopicConfig, TopicDescription } from '../engine/index.ts'
import { type TopicDifference, TopicDiffersError } from './errors.ts'

/**
 * Compares what is declared of a topic with what it has; what is not declared may be anything. Warns of what the program can do
 * with: how long and how things are kept is also the business of whoever runs the engine.
 *
 * @throws TopicDiffersError `TOPIC_DIFFERS`: fewer partitions, smaller records or another cleanup than declared.
 */
export function checkDeclared({ name: topic, config }: TopicDescription, declaration: TopicConfig): void {
  const differences = (Object.keys(declaration) as (keyof TopicConfig)[]).flatMap((setting): TopicDifference[] => {
    const declared = declaration[setting]
    const actual = config[setting]
    return declared === undefined || declared === actual ? [] : [{ topic, setting, declared, actual }]
  })
  const stopping = differences.filter(stopsTheStart)
  if (stopping.length > 0) throw new TopicDiffersError(differences)
  if (differences.length > 0) process.emitWarning(new TopicDiffersError(differences))
}

/** Keys would lie, records be refused, or history be gone, where the program does not expect it. */
function stopsTheStart({ setting, declared, actual }: TopicDifference): boolean {
  if (setting === 'cleanup') return true
  return (setting === 'partitions' || setting === 'recordBytesMax') && Number(actual) < Number(declared)
}

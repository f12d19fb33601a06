import { type Engine, GroupUnknownError, type GroupDescription, type TopicDescription, TopicUnknownError } from '../../engine/index.ts'

/** @throws TopicUnknownError `TOPIC_UNKNOWN` */
export async function existingTopic(engine: Engine, name: string): Promise<TopicDescription> {
  const topic = await engine.topics.describe(name)
  if (topic === undefined) throw new TopicUnknownError(name)
  return topic
}

/** @throws GroupUnknownError `GROUP_UNKNOWN` */
export async function existingGroup(engine: Engine, name: string): Promise<GroupDescription> {
  const group = await engine.groups.describe(name)
  if (group === undefined) throw new GroupUnknownError(name)
  return group
}

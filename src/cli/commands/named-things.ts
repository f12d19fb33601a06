import {
  type Engine,
  type GroupDescription,
  GroupUnknownError,
  type TopicDescription,
  TopicUnknownError,
} from '../../engine/index.ts'

/** @throws TopicUnknownError `TOPIC_UNKNOWN` */
export async function existingTopic(engine: Pick<Engine, 'topics'>, name: string): Promise<TopicDescription> {
  const topic = await engine.topics.describe(name)
  if (topic === undefined) throw new TopicUnknownError(name)
  return topic
}

/** @throws GroupUnknownError `GROUP_UNKNOWN` */
export async function existingGroup(engine: Pick<Engine, 'groups'>, name: string): Promise<GroupDescription> {
  const group = await engine.groups.describe(name)
  if (group === undefined) throw new GroupUnknownError(name)
  return group
}

export {
  attributeTextProblem,
  contentTypeHeader,
  httpHeaderPrefix,
  isExtensionName,
  isKnownAttribute,
  type KnownAttribute,
  kafkaHeaderPrefix,
  knownAttributes,
} from './attributes.ts'
export { causeTypeAttribute, causeTypeOf } from './cause.ts'
export {
  batchContentType,
  type Decoded,
  type DecodeOptions,
  decodeHttp,
  decodeJson,
  decodeJsonBatch,
  decodeKafka,
  encodeHttpBatch,
  encodeHttpBinary,
  encodeHttpStructured,
  encodeJson,
  encodeJsonBatch,
  encodeKafkaBinary,
  encodeKafkaStructured,
  type HttpContent,
  type HttpHeaders,
  isJsonContentType,
  jsonContentType,
  type KafkaContent,
  type KafkaSource,
  parseContentType,
  structuredContentType,
} from './cloudevents/index.ts'
export {
  contextFor,
  currentContext,
  defaultSource,
  type HandlingOptions,
  type MessageContext,
  runInContext,
} from './context.ts'
export { type CommandOptions, command, type EventOptions, event, type QueryOptions, query } from './define.ts'
export type {
  AnyCommandDefinition,
  AnyDefinition,
  AnyEventDefinition,
  AnyQueryDefinition,
  CommandDefinition,
  CreateArguments,
  DataOf,
  EventDefinition,
  EventKind,
  MessageDefinition,
  MessageOf,
  MessageOverrides,
  QueryArguments,
  QueryDefinition,
  QueryResult,
  ReadOptions,
  ReadonlyData,
  ThinLink,
} from './definition.ts'
export {
  type AttributeValue,
  type CommandMessage,
  type EventMessage,
  type Extensions,
  extensionOf,
  type Message,
  type MessageKind,
  type OptionalAttributes,
  sealMessage,
  withAttributes,
} from './envelope.ts'
export {
  AttributeInvalidError,
  DataInvalidError,
  type DataIssue,
  MessageUndecodableError,
  SchemaAsyncError,
  TypeMismatchError,
  UpcastFailedError,
  UpcastMissingError,
  VersionUnknownError,
} from './errors.ts'
export { identityOf } from './identity.ts'
export { messageProblem } from './message-problem.ts'
export { isCurrent } from './read.ts'
export { isSealed, sealed } from './seal.ts'
export { TopicAmbiguousError, tagsOfEvent, topicNameProblem, topicOfDefinition, topicOfType } from './topics.ts'
export { type Successor, UpcastChain, type UpcastResult, upcastFrom } from './upcast.ts'
export { validateNow } from './validate.ts'

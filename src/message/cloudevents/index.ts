export {
  batchContentType,
  isJsonContentType,
  jsonContentType,
  parseContentType,
  structuredContentType,
} from './content-type.ts'
export type { Decoded, DecodeOptions } from './decode.ts'
export {
  decodeHttp,
  encodeHttpBatch,
  encodeHttpBinary,
  encodeHttpStructured,
  type HttpContent,
  type HttpHeaders,
} from './http.ts'
export { decodeJson, decodeJsonBatch, encodeJson, encodeJsonBatch } from './json.ts'
export { decodeKafka, encodeKafkaBinary, encodeKafkaStructured, type KafkaContent, type KafkaSource } from './kafka.ts'

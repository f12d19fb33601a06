import type { Output } from '../output.ts'
import { counted, shown, shownJson, shownLines, shownTime } from '../text.ts'
import type { FoundLetter } from './dead-letter-shelves.ts'

const reasons: Readonly<Record<string, string>> = {
  failed: 'the handler gave up',
  unreadable: 'the message cannot be brought to the current version',
  undecodable: 'the record is no message',
  timer: 'a timer gave up',
}

/** Shows all of a dead letter to people. */
export async function showLetter(output: Output, { app, letter }: FoundLetter): Promise<void> {
  const { error, original } = letter
  await output.fields([
    ['id', shown(letter.id)],
    ['app', shown(app)],
    ['handler', shown(letter.handler)],
    ['reason', reasons[letter.reason] ?? letter.reason],
    ['record', letter.offset < 0 ? 'none' : `${letter.topic}/${letter.partition}/${letter.offset}`],
    ['time', shownTime(letter.timestampMs)],
    [
      'key',
      letter.key === null ? 'none' : `${shown(letter.key)}${letter.parksKey ? '; later messages wait behind it' : ''}`,
    ],
    ['attempts', `${letter.attempts}, from ${shownTime(letter.firstFailureMs)} to ${shownTime(letter.lastFailureMs)}`],
    ['asked for', letter.requested ?? 'nothing'],
    ['error', `${error.code === null ? '' : `${shown(error.code)}: `}${shown(error.name)}: ${shown(error.message)}`],
  ])
  if (error.stack !== null) await output.line(output.styled('dim', `\n${shownLines(error.stack)}`))
  await output.line('')
  switch (original.kind) {
    case 'message': {
      const { message, dataBase64 } = original
      const event = dataBase64 === null ? message : { ...(message as object), data_base64: dataBase64 }
      return output.line(shownLines(JSON.stringify(event, null, 2)))
    }
    case 'timer':
      return output.line(`timer of ${shown(original.owner)}: ${shownJson(original.timer)}`)
    case 'omitted':
      return output.line(
        `about ${counted(original.characterCount, 'character')}, too large to be kept here; see the record above in its topic`,
      )
    case 'record':
      return output.line(
        `${counted(Buffer.from(original.valueBase64, 'base64').length, 'byte')}: ${original.valueBase64}`,
      )
  }
}

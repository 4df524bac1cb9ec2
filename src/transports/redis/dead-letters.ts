import { EvtError } from '../../core/errors.ts'
import type { Burial, DeadLetterTopics, Message, Published } from '../transport.ts'
import { bytesOf, failureOf } from './batch.ts'
import type { RedisContext } from './context.ts'
import { firstId } from './entry-id.ts'
import { explainWrongType, isReply } from './errors.ts'
import { findTopic } from './find-streams.ts'
import { encodeForeign } from './foreign-wire.ts'
import { decodeLetter, encodeDeath, type FoundLetter } from './grave.ts'
import { createPageSize, lastIdOf, readPage, type StoredEntry } from './pages.ts'
import { createScript, runScript } from './script.ts'
import { bellOf, besideKey, laneOf } from './topic.ts'
import { encodeMeta } from './wire.ts'

const ending = ':dlq'
export const deadLetterStreamOf = (topic: string) => `${topic}${ending}`
const mostAtOnce = 100
const mostBytes = 1024 * 1024

/** {dlq}:evt:graves: hash, who was buried (group, position, id) → id of the letter: burying again after a crash finds it. */
export const gravesKey = (deadLetterTopic: string) => besideKey(deadLetterTopic, 'graves')

/**
 *   KEYS  dead-letter stream, graves
 *   ARGV  for each: grave, meta, body, death
 *   gives for each: the letter's id, and 1 when it was there already
 */
const buryScript = createScript(`
local given = {}
for at = 1, #ARGV, 4 do
  local known = redis.call('HGET', KEYS[2], ARGV[at])
  if known and #redis.call('XRANGE', KEYS[1], known, known) == 0 then known = false end
  local id = known or redis.call('XADD', KEYS[1], '*', 'evt', ARGV[at + 1], 'body', ARGV[at + 2], 'dead', ARGV[at + 3])
  if not known then redis.call('HSET', KEYS[2], ARGV[at], id) end
  given[#given + 1] = id
  given[#given + 1] = known and 1 or 0
end
return given
`)

/**
 * Out of the grave and into a stream, or neither.
 *
 *   KEYS  stream, dead-letter stream, graves
 *   ARGV  letter, grave, bell, then the fields
 *   gives the entry's id; nothing when the letter is gone
 */
const replayScript = createScript(`
if #redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1]) == 0 then return false end
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
redis.call('XDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.pcall('PUBLISH', ARGV[3], '')
return id
`)

/** Dead letters in streams `<topic>:dlq`; the fields are in grave.ts. */
export function createDeadLetters(context: RedisContext): DeadLetterTopics {
  const { place } = context.options
  const { client } = context.connections

  async function read(deadLetterTopic: string, id: string): Promise<FoundLetter | undefined> {
    if (!/^\d+-\d+$/.test(id)) return undefined
    const [entry] = (await client.xrangeBuffer(deadLetterTopic, id, id)) as unknown as readonly StoredEntry[]
    return entry && letterOf(deadLetterTopic, entry)
  }

  async function buryPiece(dead: string, piece: readonly Burial[]): Promise<readonly Published[]> {
    const args = piece.flatMap((burial) => [
      graveOf(burial),
      encodeMeta(burial.message),
      bytesOf(burial.message),
      encodeDeath(burial, Date.now()),
    ])
    try {
      const given = (await runScript(client, buryScript, [dead, gravesKey(dead)], args)) as unknown[]
      return piece.map((_, at) => ({
        state: given[2 * at + 1] === 1 ? 'duplicate' : 'stored',
        at: String(given[2 * at]),
      }))
    } catch (error) {
      const failure = failureOf(error, place, `bury in ${dead}`)
      return piece.map(() => failure)
    }
  }

  async function replayOne(dead: string, letter: FoundLetter, to: string, message: Message): Promise<Published> {
    const topic = await findTopic(context, to)
    const stream = topic.streams[laneOf(message, topic.streams.length)] ?? to
    const fields = topic.ours
      ? ['evt', encodeMeta(message), 'body', bytesOf(message)]
      : (letter.fields ?? encodeForeign(speaksHeaders(letter.message) ? message : letter.message))
    const together = [stream, dead, gravesKey(dead)]
    const grave = graveOf({ message: { ...message, at: letter.origin.at ?? '' }, group: letter.origin.group ?? '' })
    const args = [letter.id, grave, bellOf(stream), ...fields]
    try {
      const id = await runScript(client, replayScript, together, args)
      return id === null ? gone(dead, letter.id) : { state: 'stored', at: String(id) }
    } catch (error) {
      if (!isReply(error, 'CROSSSLOT')) throw error
    }
    // Not in one slot of the cluster: published first, so that a crash between the two leaves the letter, and a copy of a known id.
    const id = await client.xadd(stream, '*', ...(fields as [string, string]))
    await client.publish(bellOf(stream), '').catch(() => {})
    await client.xdel(dead, letter.id)
    await client.hdel(gravesKey(dead), grave)
    return { state: 'stored', at: String(id) }
  }

  return {
    nameOf: deadLetterStreamOf,
    async bury(topic, burials, signal) {
      const results: Published[] = []
      for (const piece of piecesOf(burials)) {
        if (signal.aborted) results.push(...piece.map(() => unknown(topic)))
        else results.push(...(await buryPiece(deadLetterStreamOf(topic), piece)))
      }
      return results
    },
    async *list(deadLetterTopic, signal) {
      const size = createPageSize()
      const cursor = { stream: deadLetterTopic, topic: deadLetterTopic, after: firstId }
      try {
        const end = await lastIdOf(client, deadLetterTopic)
        while (end !== undefined && !signal.aborted) {
          const count = size.next(1)
          const page = await readPage(client, cursor, end, count)
          size.learn(page)
          cursor.after = page.at(-1)?.[0].toString() ?? cursor.after
          if (page.length > 0) yield page.map((entry) => withoutFields(letterOf(deadLetterTopic, entry)))
          if (page.length < count) return
        }
      } catch (error) {
        throw await explainWrongType(error, place, deadLetterTopic, (key) => client.type(key))
      }
    },
    async replay(deadLetterTopic, ids, { to, headers, signal }) {
      const results: Published[] = []
      for (const id of ids) {
        if (signal.aborted) {
          results.push(unknown(deadLetterTopic))
          continue
        }
        try {
          const letter = await read(deadLetterTopic, id)
          const topic = to ?? letter?.origin.topic
          if (letter === undefined) results.push(gone(deadLetterTopic, id))
          else if (topic === undefined) results.push(homeless(deadLetterTopic, id))
          else {
            const message = { ...letter.message, headers: { ...letter.message.headers, ...headers } }
            results.push(await replayOne(deadLetterTopic, letter, topic, message))
          }
        } catch (error) {
          results.push(failureOf(error, place, `replay ${id} of ${deadLetterTopic}`))
        }
      }
      return results
    },
  }
}

function letterOf(stream: string, [id, fields]: StoredEntry): FoundLetter {
  const topic = stream.endsWith(ending) ? stream.slice(0, -ending.length) : undefined
  return decodeLetter(stream, topic, id.toString(), fields)
}

/** Whoever reads plain fields knows no headers: one more would make another message of it. */
const speaksHeaders = ({ headers }: Message) => Object.keys(headers).length > 0

function withoutFields({ fields: _, ...letter }: FoundLetter) {
  return letter
}

interface Grave {
  readonly message: { readonly id: string; readonly at: string }
  readonly group: string
}

const graveOf = ({ message, group }: Grave) => JSON.stringify([group, message.at, message.id])

function piecesOf(burials: readonly Burial[]): readonly (readonly Burial[])[] {
  const pieces: Burial[][] = []
  let bytes = 0
  for (const burial of burials) {
    const piece = pieces.at(-1)
    bytes += burial.message.body.length
    if (piece === undefined || piece.length >= mostAtOnce || bytes > mostBytes) {
      pieces.push([burial])
      bytes = burial.message.body.length
    } else piece.push(burial)
  }
  return pieces
}

const unknown = (topic: string): Published => ({
  state: 'unknown',
  error: new EvtError('interrupted', `cannot tell what became of ${topic}: aborted`),
})

const gone = (deadLetterTopic: string, id: string): Published => ({
  state: 'refused',
  error: new EvtError('refused', `cannot replay ${id}: it does not lie in ${deadLetterTopic}`, {
    hint: 'it may have been replayed before; list the dead letters again',
  }),
})

const homeless = (deadLetterTopic: string, id: string): Published => ({
  state: 'refused',
  error: new EvtError('refused', `cannot replay ${id}: it does not say where it came from`, {
    hint: `name the topic to replay ${deadLetterTopic} to: --target`,
  }),
})

/** The bell is a hint; readers look every now and then. */

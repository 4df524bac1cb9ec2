import { planTopics } from '../core/layout.ts'
import { placeOfTopic } from '../core/origin.ts'
import { compilePattern } from '../core/pattern.ts'
import type { SinkConfig } from './sink-config.ts'

/**
 * The place that two sinks both write to, as far as their own words tell: `orders of kafka://broker:9092`. Users and parameters are left
 * out, and so is what only a server knows: two names of one host, and a topic that one names in its URL and the other beside it.
 */
export function samePlace(a: SinkConfig, b: SinkConfig): string | undefined {
  const server = serverOf(a)
  if (server !== serverOf(b)) return undefined
  const what = sharedTopic(a, b)
  return what === undefined ? undefined : `${what} of ${server}`
}

function serverOf({ url }: SinkConfig): string {
  const [, server = '', path = ''] = /^([^:]+:\/\/[^/]*)(.*)$/.exec(placeOfTopic(url, '').trim()) ?? []
  return server.toLowerCase() + path
}

function sharedTopic(a: SinkConfig, b: SinkConfig): string | undefined {
  const [fixed, other] = [topicOf(a), topicOf(b)]
  if (fixed !== undefined && other !== undefined) return fixed.key === other.key ? fixed.says : undefined
  if (fixed !== undefined) return isTopicOfTypes(fixed.key, b) ? fixed.says : undefined
  if (other !== undefined) return isTopicOfTypes(other.key, a) ? other.says : undefined
  const prefix = prefixOf(a)
  return prefix === prefixOf(b) && wantSameTypes(a, b) ? `topics ${prefix}<type>` : undefined
}

/** Undefined for a topic for each type. What a URL names is known by the whole of it: which part says it is the transport's. */
function topicOf(config: SinkConfig): { readonly key: string; readonly says: string } | undefined {
  const [topic] = planTopics(config).fixed ?? []
  if (topic === undefined) return undefined
  const [, path = '', query = ''] = /^[^:]+:\/\/[^/?#]*([^?#]*)(\?[^#]*)?/.exec(config.url) ?? []
  const mayName = config.topic === undefined && (path.length > 1 || query.length > 1)
  return mayName ? { key: `${path}${query}`, says: 'the same topic' } : { key: topic, says: `topic ${topic}` }
}

const prefixOf = (config: SinkConfig): string => planTopics(config).topicOf('')

function isTopicOfTypes(topic: string, config: SinkConfig): boolean {
  const prefix = prefixOf(config)
  return topic.startsWith(prefix) && takes(config, topic.slice(prefix.length))
}

/** When one wants what the other says, word for word: of `*.created` and `user.*` nobody says that there is a type of both. */
function wantSameTypes(a: SinkConfig, b: SinkConfig): boolean {
  return wordsOf(a).some((word) => takes(b, word)) || wordsOf(b).some((word) => takes(a, word))
}

/** As the words are there: those that it renames, and what else it says. */
const wordsOf = ({ patterns = ['*'], rename = {}, renames }: SinkConfig): readonly string[] => [
  ...patterns.flatMap((text) => compilePattern(text).types ?? [text]).map(renames.there),
  ...Object.values(rename),
]

/** Whether an event of this name there can be the sink's. */
function takes({ wanted, renames }: SinkConfig, there: string): boolean {
  const here = renames.here(there)
  return here !== undefined && wanted.matches(here)
}

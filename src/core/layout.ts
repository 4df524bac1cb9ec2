import { EvtError } from './errors.ts'
import { slotCount } from './slot.ts'

/**
 * How events spread over the topics of a broker. `shards`: one topic whose lanes keep the order of each subject; `per-type`: a topic
 * for each type, which orders nothing across types; `single`: one topic with one lane.
 */
export const layouts = ['shards', 'per-type', 'single'] as const
export type Layout = (typeof layouts)[number]

export interface LayoutOptions {
  readonly layout?: Layout | undefined
  /** Of `shards` and `single`; default `events`. */
  readonly topic?: string | undefined
  /** Of `per-type`, before the type, with the separator that belongs between them; default `events` and `separator`. */
  readonly prefix?: string | undefined
  /** What this substrate's people write between the parts of a name; default `.`. */
  readonly separator?: string | undefined
  /** Of each topic; default 16 for `shards`, 1 for the others. */
  readonly lanes?: number | undefined
}

/** Which topic an event belongs to. */
export interface TopicPlan {
  readonly layout: Layout
  readonly lanes: number
  /** All topics, where they do not depend on types. */
  readonly fixed: readonly string[] | undefined
  topicOf(type: string): string
}

const defaultTopic = 'events'
const shards = 16

/** Throws `usage` for a count of lanes that cannot be. */
export function planTopics(options: LayoutOptions): TopicPlan {
  const layout = options.layout ?? 'shards'
  const lanes = lanesOf(layout, options.lanes)
  if (layout === 'per-type') {
    const prefix = options.prefix ?? `${defaultTopic}${options.separator ?? '.'}`
    return { layout, lanes, fixed: undefined, topicOf: (type) => prefix + type }
  }
  const topic = options.topic ?? defaultTopic
  return { layout, lanes, fixed: [topic], topicOf: () => topic }
}

function lanesOf(layout: Layout, asked: number | undefined): number {
  const lanes = asked ?? (layout === 'shards' ? shards : 1)
  const refuse = (reason: string) => new EvtError('usage', `cannot use ${lanes} lanes: ${reason}`)
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > slotCount)
    throw refuse(`it is a whole number from 1 to ${slotCount}`)
  if (layout === 'single' && lanes > 1) throw refuse('layout single has one; layout shards has several')
  return lanes
}

import { EvtError } from '../../core/errors.ts'
import type { TopicPlan } from '../../core/layout.ts'
import { compilePattern } from '../../core/pattern.ts'
import type { Registry } from '../../core/registry.ts'

/** Where the events of a handler are. Throws `config` for a pattern without known types, where each type has a topic of its own. */
export function topicsOf(
  patterns: readonly string[],
  { plan, registry }: { readonly plan: TopicPlan; readonly registry: Registry },
): readonly string[] {
  if (plan.fixed) return plan.fixed
  const types = patterns.flatMap((text) => {
    const pattern = compilePattern(text)
    const known = pattern.types ?? registry.matching(pattern).map(({ type }) => type)
    if (known.length > 0) return known
    throw new EvtError('config', `cannot subscribe to ${text}: with a topic for each type, its types must be known`, {
      hint: "name the types, give the bus a registry of contracts, or use layout 'shards'",
    })
  })
  return [...new Set(types)].map((type) => plan.topicOf(type))
}

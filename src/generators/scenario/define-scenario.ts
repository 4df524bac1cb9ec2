import { EvtError } from '../../core/errors.ts'
import type { ScenarioDefinition } from '../../core/scenario.ts'
import { checkShape } from './check-shape.ts'

/**
 * Declares a scenario, for the `scenarios` of a service or as the default export of a file. Throws EvtError('config') for what is none; types and
 * fields are looked up when it is used, where the contracts of all services are known.
 */
export function defineScenario(definition: ScenarioDefinition): ScenarioDefinition {
  const [problem] = checkShape(definition)
  if (!problem) return definition
  const { scenario } = definition
  throw new EvtError('config', `cannot define scenario ${JSON.stringify(scenario)}: ${problem.text}`, {
    ...(problem.hint === undefined ? {} : { hint: problem.hint }),
  })
}

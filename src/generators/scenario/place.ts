import { EvtError } from '../../core/errors.ts'
import type { ScenarioDefinition } from '../../core/scenario.ts'
import type { Path, Problem } from './check-shape.ts'

/** A scenario, and where a person finds it. */
export interface PlacedScenario {
  readonly definition: ScenarioDefinition
  /** `./signup.yaml`, or the service. */
  readonly place: string
  /** Of the file, from 1; undefined where there is no text to point at. */
  lineOf?(path: Path): number | undefined
}

/** EvtError('config') that names the file, the line and the remedy. */
export function problemAt({ definition, place, lineOf }: PlacedScenario, { path, text, hint }: Problem): EvtError {
  const line = lineOf?.(path)
  const name = typeof definition?.scenario === 'string' ? `scenario ${definition.scenario}` : 'scenario'
  return new EvtError('config', `cannot use ${name}: ${place}${line === undefined ? '' : `:${line}`}: ${text}`, {
    ...(hint === undefined ? {} : { hint }),
  })
}

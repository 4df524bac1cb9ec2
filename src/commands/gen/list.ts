import { renderTable } from '../../output/table.ts'
import { loadServices } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import { scenariosOf } from './find-scenarios.ts'

interface Row {
  readonly scenario: string
  readonly from: string
  readonly steps: number
  readonly summary: string | undefined
}

/** `--list`: scenarios of the configured services. */
export async function listScenarios(runtime: Runtime): Promise<undefined> {
  const scenarios = scenariosOf(await loadServices(runtime)).map(
    ({ definition: { scenario, summary, steps }, place }): Row => ({
      scenario,
      from: place,
      steps: steps.length,
      summary,
    }),
  )
  runtime.output.result({
    data: { scenarios },
    render: () =>
      scenarios.length === 0 ? 'no service has a scenario' : renderTable(scenarios, columns, runtime.output),
  })
  return undefined
}

const columns = [
  { head: 'SCENARIO', cell: ({ scenario }: Row) => `scenario:${scenario}` },
  { head: 'FROM', cell: ({ from }: Row) => from },
  { head: 'STEPS', cell: ({ steps }: Row) => String(steps) },
  { head: 'SUMMARY', cell: ({ summary }: Row) => summary, grows: true as const },
]

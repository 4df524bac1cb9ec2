import { randomBytes } from 'node:crypto'

/** Everything that a run leaves anywhere carries its name, so that it can be found and removed. */
export interface ScratchNames {
  readonly run: string
  /** How this process is called among the running bridges. */
  readonly instance: string
  /** Event type. */
  readonly type: string
  readonly tenant: string
  /** Beginning of the handlers' names. */
  readonly handlerPrefix: string
  /** Schema of the effects. */
  readonly schema: string
}

export const newRunName = () => randomBytes(4).toString('hex')

export function scratchNames(run: string): ScratchNames {
  return {
    run,
    instance: `evt bench ${run}`,
    type: `bench.${run}.sent`,
    tenant: `bench-${run}`,
    handlerPrefix: `bench.${run}.`,
    schema: `evt_bench_${run}`,
  }
}

/** The run that made a schema of that name. */
export const runOfSchema = (schema: string) => /^evt_bench_([a-z0-9]+)$/.exec(schema)?.[1]

/** The id of event k, and back. */
export const idOf = (run: string, k: number) => `bench-${run}-${k}`
export const kOf = (run: string, id: string) => Number(id.slice(`bench-${run}-`.length))

import type { ErrorCode } from '../core/errors.ts'

/** How a command can end. Help prints this table; scripts rely on the numbers. */
export const exitCodes = {
  done: { code: 0, says: 'done' },
  failed: { code: 1, says: 'ran, and what it checked failed' },
  usage: { code: 2, says: 'usage or configuration' },
  connect: { code: 3, says: 'cannot connect or authenticate' },
  refused: { code: 4, says: 'refused for safety' },
  partial: { code: 5, says: 'partial: not all of it was done or confirmed' },
  defect: { code: 70, says: 'a defect of evt' },
  broken: { code: 97, says: 'correctness broken: lost, duplicated or reordered' },
  inconclusive: { code: 98, says: 'the measurement is inconclusive' },
  gate: { code: 99, says: 'a gate failed' },
  interrupted: { code: 130, says: 'interrupted (143: terminated, 129: hung up)' },
} as const satisfies Record<string, { code: number; says: string }>

export type Outcome = keyof typeof exitCodes

const byError: Record<ErrorCode, Outcome> = {
  usage: 'usage',
  config: 'usage',
  connect: 'connect',
  refused: 'refused',
  partial: 'partial',
  contract: 'usage',
  'unknown-type': 'usage',
  checksum: 'failed',
  decode: 'usage',
  'too-large': 'usage',
  conflict: 'failed',
  fenced: 'failed',
  timeout: 'partial',
  closed: 'failed',
  migrations: 'usage',
  unsupported: 'usage',
  interrupted: 'interrupted',
  internal: 'defect',
}

/** What an error of this code means for the process. */
export const outcomeOf = (code: ErrorCode): Outcome => byError[code]

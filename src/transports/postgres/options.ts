import { EvtError } from '../../core/errors.ts'

export interface PostgresOptions {
  /** Without what is ours in it. */
  readonly storeUrl: string
  readonly channel?: string
  /** Of dead letters that another system keeps. */
  readonly table?: string
}

/** Takes `?channel=` and `?table=` out of the URL; everything else is the driver's. Throws `usage` for both at once. */
export function parsePostgresUrl(url: string): PostgresOptions {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const [channel, table] = [
    parsed?.searchParams.get('channel') ?? undefined,
    parsed?.searchParams.get('table') ?? undefined,
  ]
  if (parsed === undefined || (channel === undefined && table === undefined)) return { storeUrl: url }
  if (channel !== undefined && table !== undefined)
    throw new EvtError(
      'usage',
      'cannot use ?channel= and ?table= at once: a channel is followed, a table holds dead letters',
    )
  parsed.searchParams.delete('channel')
  parsed.searchParams.delete('table')
  return {
    storeUrl: parsed.href,
    ...(channel === undefined ? {} : { channel }),
    ...(table === undefined ? {} : { table }),
  }
}

import { EvtError } from '../../core/errors.ts'
import { readsAsMeant, redactUrl } from '../../core/mask.ts'
import type { Store } from '../../store/connection.ts'
import type { Runtime } from '../runtime.ts'

/** Which store a command works on, and why that one. */
export interface StorePlace {
  /** With the password; never printed. */
  readonly url: string
  readonly shown: string
  /** `--store`, `EVT_STORE`, a file, a profile, or `the embedded store that runs`. */
  readonly origin: string
  readonly embedded: boolean
}

const embeddedOrigin = 'the embedded store that runs'

/** The configured store, else the embedded one that runs; undefined when there is neither. Connects to nothing. */
export async function findStore({ config, cwd }: Pick<Runtime, 'config' | 'cwd'>): Promise<StorePlace | undefined> {
  const { value, origin } = config.get('store')
  // `--store "$UNSET"` must not fall back to whatever runs here.
  if (value === '') throw new EvtError('usage', `cannot use the store of ${origin}: it is empty`)
  if (value) return { url: storeUrl(value, origin), shown: redactUrl(value), origin, embedded: false }
  const { findEmbedded } = await import('../../store/embedded.ts')
  const url = await findEmbedded(cwd)
  return url ? { url, shown: redactUrl(url), origin: embeddedOrigin, embedded: true } : undefined
}

/** Throws `usage` where a raw character ends the password: its rest would be looked up as a host, and shown as one. */
export function storeUrl(url: string, origin: string): string {
  if (readsAsMeant(url)) return url
  throw new EvtError(
    'usage',
    `cannot use ${redactUrl(url)} of ${origin}: its user or password ends at a raw character`,
    {
      hint: 'percent-encode what is special in a URL: / is %2F, # is %23, ? is %3F, @ is %40, : is %3A, % is %25',
    },
  )
}

/** Where embedded stores of this user run, none of them here: which one is meant is not for us to guess. */
export async function storesElsewhere(): Promise<readonly string[]> {
  const { runningProjects } = await import('../../store/embedded.ts')
  return runningProjects()
}

/** Like `findStore`; throws EvtError('connect') with what to do when there is none. */
export async function requireStore(runtime: Pick<Runtime, 'config' | 'cwd'>): Promise<StorePlace> {
  const place = await findStore(runtime)
  if (place) return place
  const elsewhere = await storesElsewhere()
  if (elsewhere.length > 0)
    throw new EvtError(
      'usage',
      `cannot choose a store: none is configured, and ${elsewhere.length} embedded ones run, in ${elsewhere.join(' and ')}`,
      { hint: 'run this in the directory of one of them, or name yours with --store postgres://… (EVT_STORE)' },
    )
  throw new EvtError('connect', 'cannot find a store: none is configured and no embedded one runs', {
    hint: 'start one with `evt demo` or `evt up`, or name yours with --store postgres://… (EVT_STORE)',
  })
}

/** Loopback, a local socket or no host at all: what is changed there is the operator's own. */
export function isOwnMachine(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { searchParams } = new URL(url)
  // libpq's way of naming another host than the one that is seen; a path is a local socket.
  if (searchParams.has('hostaddr')) return false
  const named = searchParams.get('host')
  if (named !== null) return named.startsWith('/')
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  return host === '' || host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host) || /^%2f/i.test(host)
}

export interface WithStore {
  /** In place of the store that is configured. */
  readonly url?: string
  /** The command, as pg_stat_activity shows it. */
  readonly command: string
  readonly max?: number
  /** `any` also takes a database in which evt never was. Default `migrated`. */
  readonly schema?: 'migrated' | 'any'
}

/** Opens the store for `work` and closes it however that ends. */
export async function withStore<T>(
  runtime: Runtime,
  { command, url, max = 4, schema = 'migrated' }: WithStore,
  work: (store: Store, place: StorePlace) => Promise<T>,
): Promise<T> {
  const place = url
    ? { url: storeUrl(url, 'the command line'), shown: redactUrl(url), origin: 'the command line', embedded: false }
    : await requireStore(runtime)
  const { openStore } = await import('../../store/connection.ts')
  runtime.output.detail(`store: ${place.shown} (${place.origin})`)
  const store = await openStore(place.url, { applicationName: `evt ${command}`, max })
  try {
    if (schema === 'migrated') await (await import('../../store/migrate.ts')).checkSchema(store)
    return await work(store, place)
  } finally {
    await store.close()
  }
}

import { findProjectFile } from '../../config/load.ts'
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
  /** The directory of the project that it belongs to, when that is not this one. */
  readonly elsewhere?: string
}

const embeddedOrigin = 'the embedded store that runs'

/**
 * The configured store, else the embedded one of this project; outside of any project, the only one that this user runs. Undefined when there
 * is none. Connects to nothing.
 */
export async function findStore({ config, cwd }: Pick<Runtime, 'config' | 'cwd'>): Promise<StorePlace | undefined> {
  const { value, origin } = config.get('store')
  // `--store "$UNSET"` must not fall back to whatever runs here.
  if (value === '') throw new EvtError('usage', `cannot use the store of ${origin}: it is empty`)
  if (value) return { url: storeUrl(value, origin), shown: redactUrl(value), origin, embedded: false }
  const { findEmbedded } = await import('../../store/embedded.ts')
  const url = findEmbedded(cwd)
  if (url) return { url, shown: redactUrl(url), origin: embeddedOrigin, embedded: true }
  // A project has its own store or none: whose server runs beside it says nothing about it.
  if (await hasProject(cwd)) return undefined
  const [elsewhere, ...others] = await storesElsewhere()
  const found = elsewhere !== undefined && others.length === 0 ? findEmbedded(elsewhere) : undefined
  if (!elsewhere || !found) return undefined
  return {
    url: found,
    shown: redactUrl(found),
    origin: `${embeddedOrigin}, of ${elsewhere}`,
    embedded: true,
    elsewhere,
  }
}

/** Whether `cwd` is in a project: it has an evt.config.*, or had an embedded store. */
export async function hasProject(cwd: string): Promise<boolean> {
  const { hasEmbedded } = await import('../../store/embedded.ts')
  return findProjectFile(cwd) !== undefined || hasEmbedded(cwd)
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
  if (await hasProject(runtime.cwd))
    throw new EvtError(
      'connect',
      'cannot find a store: none is configured, and the embedded one of this project does not run',
      {
        hint: 'start it with `evt up`, or name yours with --store postgres://… (EVT_STORE)',
      },
    )
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
  /** It changes something and asks nobody: then the store has to be this project's, or be named. */
  readonly changes?: boolean
  /** `any` also takes a database in which evt never was. Default `migrated`. */
  readonly schema?: 'migrated' | 'any'
}

/** Opens the store for `work` and closes it however that ends. */
export async function withStore<T>(
  runtime: Runtime,
  { command, url, max = 4, changes = false, schema = 'migrated' }: WithStore,
  work: (store: Store, place: StorePlace) => Promise<T>,
): Promise<T> {
  const place = url
    ? { url: storeUrl(url, 'the command line'), shown: redactUrl(url), origin: 'the command line', embedded: false }
    : await requireStore(runtime)
  sayElsewhere(runtime, place, changes ? command : undefined)
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

function sayElsewhere({ output }: Runtime, { shown, elsewhere }: StorePlace, changing: string | undefined): void {
  if (elsewhere === undefined) return
  if (changing !== undefined)
    throw new EvtError(
      'refused',
      `cannot run evt ${changing} here: the only embedded store that runs is of ${elsewhere}`,
      {
        hint: `go there (cd ${elsewhere}), or name the store with --store`,
      },
    )
  output.notice(`this is no project: looking at the embedded store of ${elsewhere} (${shown})`)
}

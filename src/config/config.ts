import { EvtError } from '../core/errors.ts'
import { type Environment, interpolate } from './interpolate.ts'
import { type ConfigKey, type ConfigValues, configKeys } from './keys.ts'
import type { Sourced } from './sourced.ts'

/** A named set of connections. */
export interface ProfileSettings {
  readonly store?: string | undefined
  /** Every change asks for the profile's name and a reason. */
  readonly protect?: boolean | undefined
  /** Every change is refused. */
  readonly readonly?: boolean | undefined
}
export interface Profile extends ProfileSettings {
  readonly name: string
  readonly origin: string
  /** Chosen by a flag of this very command, not by the environment or a file. */
  readonly byFlag: boolean
}

/** One place that values come from; earlier layers win. */
export interface Layer {
  readonly kind: 'flags' | 'environment' | 'file'
  /** A file's path. */
  readonly file?: string
  readonly values: { readonly [K in ConfigKey]?: Sourced<ConfigValues[K]> }
  readonly profiles?: Readonly<Record<string, ProfileSettings>>
}

export interface Config {
  get<K extends ConfigKey>(key: K): Sourced<ConfigValues[K]>
  readonly profile: Profile | undefined
  /** The names that a profile may have. */
  readonly profileNames: readonly string[]
  /** Files that were read, first the one that wins. */
  readonly files: readonly string[]
}

/** Merges per key, and groups of settings per member. Throws EvtError('config') for a profile that no file defines and for an unset `${VARIABLE}`. */
export function createConfig(layers: readonly Layer[], env: Environment): Config {
  const settings = profilesOf(layers)
  const profile = chosenProfile(layers, settings, env)
  const merged = profile ? withProfile(layers, profile) : layers
  return {
    profile,
    profileNames: Object.keys(settings),
    files: layers.flatMap((layer) => (layer.file ? [layer.file] : [])),
    get(key) {
      const found = merged.flatMap((layer) => {
        const own = layer.values[key]
        if (own === undefined) return []
        if (!layer.file) return [own]
        return [{ ...own, value: interpolate(own.value, env, { file: layer.file, key: configKeys[key].name }) }]
      })
      const [first, ...later] = found
      const { choose, default: value } = configKeys[key]
      if (!first) return { value, origin: 'default' }
      const configured = choose && merged.find(({ file, values }) => file && values[key])?.values[key]
      if (configured && first.origin !== configured.origin) return { ...first, value: choose(first, configured) }
      // A flag that names a port must not take away what a file says about tokens and certificates.
      const groups = [first, ...later].map(({ value }) => value)
      return groups.every(isGroup) ? { ...first, value: Object.assign({}, ...groups.reverse()) } : first
    },
  }
}

/** Settings of one part in one object. */
const isGroup = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

type Settings = Record<string, ProfileSettings & { readonly file: string }>

function profilesOf(layers: readonly Layer[]): Settings {
  const settings: Settings = {}
  for (const layer of [...layers].reverse()) {
    for (const [name, own] of Object.entries(layer.profiles ?? {}))
      settings[name] = { ...settings[name], ...own, file: layer.file ?? '' }
  }
  return settings
}

function chosenProfile(layers: readonly Layer[], settings: Settings, env: Environment): Profile | undefined {
  const layer = layers.find(({ values }) => values.profile?.value)
  const chosen = layer?.values.profile
  if (!layer || !chosen?.value) return undefined
  const name = chosen.value
  const found = Object.hasOwn(settings, name) ? settings[name] : undefined
  if (!found) {
    const known = Object.keys(settings).join(', ') || 'none is configured'
    throw new EvtError('config', `cannot use profile ${name} (${chosen.origin}): no configuration file defines it`, {
      hint: `known profiles: ${known}`,
    })
  }
  const { file, ...own } = found
  const store = own.store && interpolate(own.store, env, { file, key: `profiles.${name}.store` })
  return { ...own, ...(store ? { store } : {}), name, origin: chosen.origin, byFlag: layer.kind === 'flags' }
}

/** A profile counts where it was chosen: after a store that was named directly there, but before a file's own keys. */
function withProfile(layers: readonly Layer[], profile: Profile): readonly Layer[] {
  if (!profile.store) return layers
  const at = layers.findIndex(({ values }) => values.profile?.value)
  const own: Layer = { kind: 'file', values: { store: { value: profile.store, origin: `profile ${profile.name}` } } }
  const place = layers[at]?.kind === 'file' ? at : at + 1
  return [...layers.slice(0, place), own, ...layers.slice(place)]
}

// The reference services by name, and what makes them busy in a demo; each is loaded when it is asked for.

export const services = {
  accounts: async () => (await import('./accounts/service.ts')).accounts,
  commerce: async () => (await import('./commerce/service.ts')).commerce,
  icons: async () => (await import('./icons/service.ts')).icons,
  platform: async () => (await import('./platform/service.ts')).platform,
  requests: async () => (await import('./requests/service.ts')).requests,
  validation: async () => (await import('./validation/service.ts')).validation,
} as const

export type ServiceName = keyof typeof services

/** Makes a service encrypt what it says of users. */
export const encryption = async () => (await import('./accounts/encrypted.ts')).withEncryption

/** Writers of the application that a service watches. */
export const traffic = {
  icons: async () => (await import('./icons/traffic.ts')).createTraffic,
} as const satisfies { readonly [Name in ServiceName]?: unknown }

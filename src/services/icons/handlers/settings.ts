import { defineHandler } from '../../../index.ts'
import { configurationChanged, maintenanceMode, settingCreated, settingUpdated } from '../contracts.ts'

/** Makes the system's own events of rows that somebody changed in the table of settings. */
export const settings = defineHandler({
  name: 'icons.settings',
  on: [settingCreated, settingUpdated],
  priority: 'high',
  async handle(event, ctx) {
    const setting = event.data.system_data
    if (setting.key !== 'maintenance_mode') {
      await ctx.publish({ type: configurationChanged.type, data: { system_data: setting } })
      return
    }
    const enabled = setting.value !== 'off'
    await ctx.publish({
      type: maintenanceMode.type,
      data: {
        system_data: {
          maintenance_enabled: enabled,
          estimated_duration: enabled ? setting.value : '0m',
          affected_services: ['icon-service'],
        },
      },
    })
  },
})

/** What of this package is public. */
export {
  BalanceProtection,
  BalanceProtection as default,
  type BalanceProtectionProps,
  type ProtectionState,
} from './protection.js';
export { type Checked, type Phase, useBalanceCheck } from './checking.js';
export { type BalanceCheck, checkBalanceBeforeAI, isIntegrationEnabled } from './balance.js';
export { configureTallygate, TallygateError, type TallygateSettings } from './client.js';
export {
  addModelConfig,
  getCurrentExchangeRate,
  getModelConfigs,
  type ModelConfig,
  type ModelConfigUpdates,
  type ModelPrice,
  type NewModelConfig,
  updateExchangeRate,
  updateModelConfig,
} from './prices.js';
export {
  addTokenUsageWithModel,
  type Deduction,
  deductUserBalance,
  type TokenUsage,
} from './usage.js';
export { type Labels, LABELS, type Locale, localeOf } from './words.js';

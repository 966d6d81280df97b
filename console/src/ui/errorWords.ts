// The server's refusals in the reader's language: by their code, with what the server said of this
// one beside it, for that names what it is about. In English the server's own sentence is enough.

import { useCallback } from 'react';
import type { ApiError } from '../api/errors';
import { type Language, useLanguage } from '../i18n/language';

type Chinese = readonly [simplified: string, traditional: string];

const WORDS: Readonly<Record<string, Chinese>> = {
  bad_request: ['请求内容有误', '請求內容有誤'],
  unknown_field: ['请求中有无法识别的字段', '請求中有無法識別的欄位'],
  unauthorized: ['未登录，或令牌、密码有误', '未登入，或權杖、密碼有誤'],
  invalid_api_key: ['没有提供密钥，或密钥无效', '沒有提供金鑰，或金鑰無效'],
  key_inactive: ['该密钥已停用', '該金鑰已停用'],
  key_expired: ['该密钥已过期', '該金鑰已過期'],
  forbidden: ['您无权执行此操作', '您無權執行此操作'],
  model_not_allowed: ['该密钥不能使用此模型', '該金鑰不能使用此模型'],
  address_not_allowed: ['该密钥不能从此地址使用', '該金鑰不能從此位址使用'],
  model_not_found: ['没有可用的服务商提供此模型', '沒有可用的供應商提供此模型'],
  not_found: ['找不到该对象', '找不到該對象'],
  method_not_allowed: ['此路径不支持该方法', '此路徑不支援該方法'],
  conflict: ['与现有内容冲突', '與現有內容衝突'],
  idempotency_conflict: [
    '同一个 Idempotency-Key 已用于其他请求',
    '同一個 Idempotency-Key 已用於其他請求',
  ],
  request_running: ['相同的请求仍在执行', '相同的請求仍在執行'],
  request_timeout: ['请求未能及时到达', '請求未能及時到達'],
  request_too_large: ['内容过大', '內容過大'],
  impossible: ['无法执行此操作', '無法執行此操作'],
  rate_limit_exceeded: ['请求过于频繁，请稍后再试', '請求過於頻繁，請稍後再試'],
  insufficient_quota: ['额度已用完', '額度已用完'],
  model_not_priced: ['该模型没有价格或汇率', '該模型沒有價格或匯率'],
  insufficient_balance: ['余额不足', '餘額不足'],
  overloaded: ['服务器繁忙，请稍后再试', '伺服器忙碌，請稍後再試'],
  store_unavailable: ['存储没有响应，未作任何更改', '儲存庫沒有回應，未作任何變更'],
  journal_unavailable: ['服务器无法写入磁盘', '伺服器無法寫入磁碟'],
  no_provider: ['没有可用的服务商', '沒有可用的供應商'],
  upstream_unreachable: ['无法连接服务商', '無法連線至供應商'],
  upstream_timeout: ['服务商没有及时响应', '供應商沒有及時回應'],
  upstream_misbehaved: ['服务商的响应无法识别', '供應商的回應無法識別'],
  upstream_refused: ['服务商拒绝了请求', '供應商拒絕了請求'],
  internal_error: ['服务器内部错误', '伺服器內部錯誤'],
  webhook_closed: ['尚未设置 Webhook 密钥', '尚未設定 Webhook 金鑰'],
  invalid_signature: ['签名缺失、有误或已过期', '簽章缺少、有誤或已過期'],
  event_conflict: ['同一事件曾以不同的数值上报', '同一事件曾以不同的數值回報'],
  event_too_old: ['事件过于久远', '事件過於久遠'],
  event_in_future: ['事件时间在未来', '事件時間在未來'],
  token_total_mismatch: ['total_tokens 与各部分之和不符', 'total_tokens 與各部分之和不符'],
  tokens_out_of_range: ['Token 数量超出范围', 'Token 數量超出範圍'],
  usage_missing: ['事件没有说明用量', '事件沒有說明用量'],
  unknown_user: ['没有这个用户', '沒有這個使用者'],
  unknown_model: ['该模型没有启用的价格', '該模型沒有啟用的價格'],
  no_exchange_rate: ['尚未设置汇率', '尚未設定匯率'],
};

// What is said beside a field, for those that any form may meet.
const REASONS: readonly (readonly [RegExp, Chinese])[] = [
  [/^(?:is )?required$/, ['必填', '必填']],
  [/^expected `str` of length >= 1$/, ['不能为空', '不能為空']],
  [/^expected `str` of length >= (\d+)$/, ['至少 $1 个字符', '至少 $1 個字元']],
  [/^expected `str` of length <= (\d+)$/, ['最多 $1 个字符', '最多 $1 個字元']],
  [/^expected `array` of length >= (\d+)$/, ['至少 $1 项', '至少 $1 項']],
  [/^expected `array` of length <= (\d+)$/, ['最多 $1 项', '最多 $1 項']],
  [/^expected `(?:int|float)` >= (\S+)$/, ['不能小于 $1', '不能小於 $1']],
  [/^expected `(?:int|float)` <= (\S+)$/, ['不能大于 $1', '不能大於 $1']],
  [/^expected `str` matching regex .*$/s, ['格式不正确', '格式不正確']],
  [/^invalid RFC3339 encoded datetime$/, ['不是有效的时间', '不是有效的時間']],
  [/^invalid enum value (.*)$/, ['不能是 $1', '不能是 $1']],
  [/^expected `([^`]*)`, got `[^`]*`$/, ['类型应为 $1', '類型應為 $1']],
  [/^there is a user with the (?:id|email) (.*) already$/, ['$1 已被使用', '$1 已被使用']],
];

function columnOf(language: Language): 0 | 1 | null {
  return language === 'en' ? null : language === 'zh-CN' ? 0 : 1;
}

/** What a code means; null in English, and for a code of another release. */
export function meaningOf(code: string, language: Language): string | null {
  const column = columnOf(language);
  return column === null ? null : (WORDS[code]?.[column] ?? null);
}

/** Beside a field: in the reader's language where that is known, else as the server said it. */
export function reasonOf(reason: string, language: Language): string {
  const column = columnOf(language);
  if (column === null) return reason;
  const known = REASONS.find(([pattern]) => pattern.test(reason));
  return known ? reason.replace(known[0], known[1][column]) : reason;
}

/** In one line, for a message that passes. */
export function saidOf(error: ApiError, language: Language): string {
  const meaning = meaningOf(error.code, language);
  if (meaning === null) return error.message;
  return error.message ? `${meaning}（${error.message}）` : meaning;
}

export function useErrorWords(): (error: ApiError) => string {
  const { language } = useLanguage();
  return useCallback((error) => saidOf(error, language), [language]);
}

import { GiftOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'redeem',
  title: { en: 'Redeem codes', 'zh-CN': '兑换码', 'zh-TW': '兌換碼' },
  icon: GiftOutlined,
  group: 'money',
  order: 50,
  need: 'read',
  load: () => import('./RedeemCodes'),
});

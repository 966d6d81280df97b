import { BellOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'alerts',
  title: { en: 'Alerts', 'zh-CN': '提醒', 'zh-TW': '提醒' },
  icon: BellOutlined,
  group: 'upkeep',
  order: 20,
  need: 'read',
  load: () => import('./Alerts'),
});

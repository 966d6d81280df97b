import { SettingOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'settings',
  title: { en: 'Settings', 'zh-CN': '设置', 'zh-TW': '設定' },
  icon: SettingOutlined,
  group: 'upkeep',
  order: 90,
  need: 'operate',
  load: () => import('./Settings'),
});

import { DashboardOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'overview',
  title: { en: 'Overview', 'zh-CN': '概览', 'zh-TW': '總覽' },
  icon: DashboardOutlined,
  group: 'watch',
  order: 10,
  need: 'read',
  load: () => import('./Overview'),
});
